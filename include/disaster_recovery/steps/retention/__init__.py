"""The steps of retention: decide, expire, tidy up, and the rules that the bucket applies by itself."""
