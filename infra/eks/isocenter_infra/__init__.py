"""AWS resources of isocenter: two CDK stacks and the commands around them."""
