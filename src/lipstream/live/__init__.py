"""Live sessions: clocks, the scheduler, and what one session plays when."""
