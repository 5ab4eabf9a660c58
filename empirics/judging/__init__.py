"""What there is to judge in a table of records: claims on single records, and on pairs of them."""
