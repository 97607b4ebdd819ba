"""The rules of pooling, on integers and records alone; they know no backend."""
