"""One self-contained HTML page, with its tables as Parquet, CSV and JSON."""
