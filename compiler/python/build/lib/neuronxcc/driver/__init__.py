"""The compiler's driver."""
