"""The network: encoder, features, tables, and what joins them; its heads are in `network.heads`."""
