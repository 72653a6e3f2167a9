"""Write media files: moved in time, encoded anew, or made from pictures and sound."""
