"""Tables in the files that people have: found out how they are written, then read row by row."""
