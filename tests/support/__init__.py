"""What several tests need: worlds, panels, fits, servers and the files of the reference folder."""
