"""The report: one page with tables, curves, sound and faces. write.py makes it; page.py puts its parts together."""
