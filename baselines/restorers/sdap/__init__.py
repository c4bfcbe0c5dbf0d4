"""SDAP (Pan et al., ICCV 2023): the network of AP-BSN trained between randomly drawn sub-samples of a noisy image."""
