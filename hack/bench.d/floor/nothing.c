// A static program of the C library that does nothing: what is least for a program that has one.
int main(void) { return 0; }
