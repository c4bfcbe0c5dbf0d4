"""What was published or made elsewhere: released weights, folders of images, and quoted rows."""
