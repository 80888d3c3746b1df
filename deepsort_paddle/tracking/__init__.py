"""DeepSORT: motion, appearance, association, lifecycle, and a log of its decisions."""
