"""What lower ends of distances are made of: sets, margins on them, constants, searches."""
