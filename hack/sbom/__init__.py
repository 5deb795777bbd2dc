"""What the images are made of, as CycloneDX documents and a table of licences."""
