"""What happens before an association exists: accept, TLS, A-ASSOCIATE-RQ, answer."""
