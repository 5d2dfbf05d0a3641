"""What commands show: pages, tables and progress, as text."""
