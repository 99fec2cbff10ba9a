"""The results page: tables, curves, audio and faces. write.py writes it; page.py assembles its sections."""
