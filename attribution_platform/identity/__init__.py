"""Who is who, measured: connected components and the quality of a resolution. Pure: arrays and frames in and out."""
