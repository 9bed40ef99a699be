"""Cloud Logging on a laptop: from an application's stdout, through the sink's filter, to the topic of the sink."""
