"""The parts of `scripts/bench-peers`, one duty each. None of them keeps state; measurements live in `peers.json`."""
