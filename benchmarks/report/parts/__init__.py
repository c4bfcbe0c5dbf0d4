"""Parts of the page that stand by themselves: training curves, accepted records, the profile, two runs side by side."""
