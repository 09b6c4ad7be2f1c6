"""From an SD card to a captioning Pi: what `picaption flash` puts onto a card, and what runs at that card's first boot."""
