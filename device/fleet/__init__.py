"""Many picaptions on one broker: signed updates, status and roll-outs (extra `fleet`)."""
