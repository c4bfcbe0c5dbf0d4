"""DeFlow: a conditional normalising flow that shifts clean photographs to degraded ones in its latent space."""
