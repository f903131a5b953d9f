"""HTTP/1.1 both ways, and the exchange between them."""
