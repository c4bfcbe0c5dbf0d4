"""Table 5: table 4 on the NTIRE20 images."""

from __future__ import annotations

from benchmarks.tables.table4 import sr_table

TABLE = sr_table("table5", "ntire20", "NTIRE20 in the paper")
