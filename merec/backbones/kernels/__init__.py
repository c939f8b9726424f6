"""What makes backbones fast, or lets several of them be trained as one."""
