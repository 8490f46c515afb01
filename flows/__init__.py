"""Ready flows on the real JWST pipelines, and the sample they run on by default."""
