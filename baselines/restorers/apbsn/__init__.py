"""AP-BSN with random-replacing refinement (Lee, Son and Lee, CVPR 2022): a blind-spot network behind pixel-shuffles."""
