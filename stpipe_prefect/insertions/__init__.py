"""Steps of one's own between those of a pipeline: what they are, where they run, what they say."""
