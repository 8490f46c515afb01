"""What CRDS gives a step: the context, the best references under it, the files themselves."""
