"""What a store of a given size takes: disk, memory, cores, and seconds to start."""
