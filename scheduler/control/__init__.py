"""The control loop of sites: decisions are pure, and apart from those who ask and tell devices."""
