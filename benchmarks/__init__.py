"""What a request costs beside other proxies, and what many sites cost."""
