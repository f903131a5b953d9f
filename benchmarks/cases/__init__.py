"""What is measured; one file and one line in `known` for each case."""
