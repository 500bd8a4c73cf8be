"""One thin module a console command."""
