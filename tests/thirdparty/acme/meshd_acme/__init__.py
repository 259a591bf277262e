"""A stranger's distribution: a filter and a load balancer, which meshd's tests install with pip."""
