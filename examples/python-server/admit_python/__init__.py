"""A cinema's server of the Admit protocol: everything core, in memory, in plain Python."""
