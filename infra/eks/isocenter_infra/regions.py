"""Where HealthImaging is, and so where the platform can be.

Source: AWS General Reference, "AWS HealthImaging endpoints and quotas".
"""

REGIONS = ("us-east-1", "us-west-2", "ap-southeast-2", "eu-west-1", "eu-west-2")
