"""From an SD card to a captioning Pi: what `picaption flash` writes, what the first boot runs."""
