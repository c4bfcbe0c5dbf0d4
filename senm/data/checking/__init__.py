"""Pairs and pools judged by their pixels, before anything is learnt from them."""
