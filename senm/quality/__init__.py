"""What a trained noise model is worth, measured on pairs that nothing was fitted on."""
