"""The machine underneath: devices, processes, memory, interrupts, progress, the terminal."""
