"""The likelihood of independent sigmoids."""
