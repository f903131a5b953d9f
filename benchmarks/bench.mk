# What a request costs beside other proxies, and what many sites cost: benchmarks/README.md

.PHONY: bench bench-scale bench-daemons

bench: $(VENV)/bench-installed
	$(BIN)/python -m benchmarks

bench-scale: $(VENV)/bench-installed
	$(BIN)/python -m benchmarks.scale

bench-daemons: $(VENV)/bench-installed
	$(BIN)/python -m benchmarks.daemons

$(VENV)/bench-installed: $(VENV)/installed benchmarks/install.py setup.cfg
	$(BIN)/pip install --quiet --editable '.[bench]' --config-settings editable_mode=compat
	$(BIN)/python -m benchmarks.install
	@touch $@
