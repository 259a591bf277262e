"""Times the load balancers' ``pick`` alone, without a proxy round it: ``compare.py --pick``."""


def main():
    pass
