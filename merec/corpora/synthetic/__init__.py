"""A rendered RGB-D corpus in the layout of CAS(ME)^3, whose every movement is known."""
