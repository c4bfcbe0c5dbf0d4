"""Impressionism: bicubic reduction and noise patches cut from flat areas of degraded photographs."""
