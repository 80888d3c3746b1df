"""What a run is to do: its options as one frozen, typed value."""
